"""Methods that turn noise into samples step by step, along what a network learnt by regression."""
