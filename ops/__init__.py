"""What we do about it: the overview today, operations to come."""
