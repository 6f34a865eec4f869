"""Compare what trainings reach over time: the plain script, the paper's training, and the command without flags."""
