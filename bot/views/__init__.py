"""What people see and press: message layouts, buttons and forms. Knows no database and no engine thread."""
