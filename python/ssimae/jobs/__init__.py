"""The work of each verb, without the printing."""
