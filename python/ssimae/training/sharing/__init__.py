"""Share a training among processes: what each computes, and how they find each other."""
