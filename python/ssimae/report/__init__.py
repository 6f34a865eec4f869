"""Write the report of a run folder: assessed images, tables, figures, sentences, and the page."""
