"""The verbs of `lab` that concern generators: sample, export and eval."""
