"""How COCO 2014 comes to a disk: resumable downloads, checked archives, links to local mirrors."""
