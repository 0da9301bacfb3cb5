"""The staging labels of the versions that this program sets: they show who set a version, and keep AWS from deleting it."""

OF_PULUMI = "pulumi-"
"""The prefix of all of them."""

LIVE = f"{OF_PULUMI}live"
"""The version that this program last set as the live one. When something else sets a value, the label stays on this version."""

PREVIOUS = f"{OF_PULUMI}previous"
"""The version with the previous value of a text secret that keeps it. AWS moves its own AWSPREVIOUS with every version."""

RECOVERED = f"{OF_PULUMI}recovered"
"""The version that `ops recover` imported of a secret that a function rotates. The label keeps AWS from deleting it, no more: its
value is the function's, and must not be replaced by what the program sets once the rotation is turned off."""

ROTATING = "ops-rotating"
"""The prefix of a label that marks the version of an unfinished `ops rotate`, which changes a server and the secret."""
