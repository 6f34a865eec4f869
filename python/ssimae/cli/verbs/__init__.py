"""One module for each verb: its docstring is the help, `main(arguments)` runs it."""
