"""What a command does from end to end: a training, an evaluation, a tuning."""
