"""`ops report`: one page for the reviewer's file."""
