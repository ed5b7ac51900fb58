"""How many there will be: a whole number, as a Poisson distribution has it."""
