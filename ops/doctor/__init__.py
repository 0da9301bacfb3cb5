"""`ops doctor`: would a task of the stack start, and if not, why?"""
