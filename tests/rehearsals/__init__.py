"""The real command lines on real lab machines. Each module is named after its situation."""
