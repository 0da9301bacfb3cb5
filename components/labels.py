"""The staging labels of the versions that this program sets: they show who set a version, and keep AWS from collecting it."""

OF_PULUMI = "pulumi-"
"""How all of them begin."""

LIVE = f"{OF_PULUMI}live"
"""The version that this program set last as the live one. Whoever else sets a value leaves the label behind on it."""

PREVIOUS = f"{OF_PULUMI}previous"
"""The version with the value before, of a text secret that keeps it. AWS moves its own AWSPREVIOUS with every version."""
