"""What a job is run in: one module for each kind, each with one class that is a contract.Engine."""
