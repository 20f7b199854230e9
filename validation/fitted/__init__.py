"""Small trained networks of our own, with the commands that made them."""
