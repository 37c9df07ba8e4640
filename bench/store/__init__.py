"""What is on record, and where: records, run directories, MLflow."""
