"""The command line `wr`: one module for each subject."""
