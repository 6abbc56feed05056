"""The library's EC2 against scripted answers: errors, retries, lost answers."""
