"""The examination of uploads, as it runs in processes of its own: these import this room and nothing else."""
