"""What an operator can have done: each recipe observes, plans (purely) and names its steps."""
