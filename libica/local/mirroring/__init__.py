"""Takes tasks, versions and runs along from another service into a data folder."""
