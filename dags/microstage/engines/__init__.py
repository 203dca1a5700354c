"""What a job is run in: one module for each kind, whose one class is, or has, a contract.Engine."""
