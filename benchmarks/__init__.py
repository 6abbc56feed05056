"""What is measured, never asserted in a test: `startup` and `migrate`, each a program of its own."""
