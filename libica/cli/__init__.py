"""The command ``libica-tes``: look at tasks and runs, launch cohorts, serve."""
