"""The paper's figures as pictures."""
