"""Do the work of each verb, without the printing."""
