"""Training of the embedded tiny SigLIP 2 towers, from scratch, on an endless stream of scenes.

Two checkpoints come out of it, each a folder that ``transformers`` loads like the real ones: a
fixed-resolution one (model type ``siglip``) and a NaFlex one (model type ``siglip2``). The command
line is ``python -m models.pretrain``; see ``models/README.md``.
"""
