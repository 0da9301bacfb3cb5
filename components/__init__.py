"""Pulumi components, one a file; the modules that start with an underscore are pure helpers with no Pulumi resource."""
