"""The library's EC2 against an EC2 that is strict."""
