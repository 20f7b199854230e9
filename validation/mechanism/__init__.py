"""Which population does what: contributions to the functional connectivity, and silencing."""
