"""Stand-ins for the provider plugins `pulumi-resource-aws` and `pulumi-resource-random`, for the sandbox only."""
