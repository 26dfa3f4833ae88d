"""The labelling pages: log-in, datasets, the queue, answers by keyboard.

Views are plain Django; a page works as plain forms, and JavaScript makes it fast.
"""
