"""What moto lets pass and EC2 refuses, with EC2's error codes and texts. Checks only: nothing here changes anything.

The codes are those of the EC2 API reference ("Error codes for the Amazon EC2 API"); where a text is known from a real
answer it is used word for word, because clients match on it.
"""
