"""What the doctor looks at, a subject a module. Each look gives findings and raises nothing."""
