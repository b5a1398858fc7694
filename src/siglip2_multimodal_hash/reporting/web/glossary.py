"""The glossary: what the page's terms mean, and where in a text they stand."""

import re

from markupsafe import Markup, escape

# A term ends in @k where any number may stand, and each of them is explained alike.
TERMS = {
    "knn": "Tags by a vote: the training images with the nearest codes vote for their labels.",
    "mlp": "Tags by the classifier that is trained together with the code and reads it.",
    "hybrid": "Tags by the weighted mean of the scores of vote and classifier.",
    "retrieval": "Search of the database by a test image's code; what shares a label with it is "
    "relevant.",
    "zero-shot": "Tags without training: the cosine of an image's embedding and that of each "
    "class's name.",
    "this head": "The trained model of this page: image and caption, fused and hashed to a code.",
    "direction only": "This head without the lengths of the embeddings.",
    "magnitude only": "This head with nothing but the lengths of the embeddings.",
    "image only": "This head without the caption.",
    "caption only": "This head without the image.",
    "MLP on the embeddings": "A classifier of the embeddings themselves: no code, a bound for mlp.",
    "linear probe": "Logistic regression on the embeddings themselves: no code, a bound for mlp.",
    "float KNN": "The vote and the search with the embeddings themselves, in full length.",
    "PQ": "Product quantisation of the embeddings, untrained, as many bytes as this code has.",
    "ITQ": "Iterative quantisation of the embeddings: an untrained code of as many bits.",
    "PCA sign": "Signs of the principal components of the embeddings: an untrained code.",
    "LSH": "Signs of random projections of the embeddings: an untrained code.",
    "chance": "What scores without any knowledge of the image reach on average.",
    "mAP": "Mean over the classes of average precision (AP); 100 is perfect.",
    "micro mAP": "Average precision of all decisions on images and classes in one list.",
    "mAP@k": "Mean over the queries of average precision among the first so many hits; ties of "
    "distance count by their expectation.",
    "AP": "Average precision: the area under the curve of precision over recall, as ever less "
    "confident decisions are let in.",
    "precision": "Share of what was found that is right.",
    "recall": "Share of what is right that was found.",
    "F1": "Harmonic mean of precision and recall.",
    "CF1": "F1 of the precision and the recall averaged over the classes, at the threshold tuned "
    "on val.",
    "OF1": "F1 of all decisions together, at the threshold tuned on val.",
    "LRAP": "Label ranking average precision: for each true tag of an image, the share of true "
    "tags among those ranked as high.",
    "calibration error": "Mean distance of a score from the share of correct tags at that score; "
    "0 is perfect.",
    "NDCG@k": "Gain of the first so many hits, by the labels they share and discounted by rank, "
    "over the best possible.",
    "P@k": "Precision among the first so many tags or hits.",
    "R@k": "Recall of the first so many tags.",
    "precision@radius2": "Precision among the items whose code differs in at most two bits; a "
    "query with none counts 0.",
    "entropy of a bit": "100 where a bit is 1 for half of the items, 0 where it is the same for "
    "all.",
    "distinct codes": "Share of the items' codes that are different ones.",
    "threshold": "Score from which on a tag is predicted.",
    "hamming distance": "Number of bits in which two codes differ.",
    "cosine distance": "Cosine of the soft codes, before they are cut to bits.",
    "asymmetric distance": "Soft code of the query against the bits of the database.",
    "whitened distance": "The asymmetric one after decorrelating the bits.",
    "hybrid distance": "A shortlist by Hamming distance, ranked again by cosine.",
    "softmax": "A vote whose weights fall exponentially with the distance, at a rate set by the "
    "temperature τ.",
    "95% interval": "Range of the figure in 95 of 100 draws of as many test images, with "
    "replacement (2,000 draws): what other images would change, not other seeds.",
}


def term_id(term: str) -> str:
    """The id of a term's explanation on the page."""
    return "term-" + re.sub(r"\W+", "-", term.lower())


def _pattern(term: str) -> str:
    return re.escape(term).replace("@k", r"@(?:\d+|all)")


# The longest first: `micro mAP` is no `mAP`.
_ORDER = sorted(TERMS, key=len, reverse=True)
_ANY = re.compile(
    r"(?<![\w@.-])(?:" + "|".join(f"({_pattern(term)})" for term in _ORDER) + r")(?![\w@-])"
)


def explained(text: str) -> Markup:
    """The text with every term of the glossary as an ``abbr`` that its explanation describes."""
    parts, end = [], 0
    for found in _ANY.finditer(text):
        term = term_id(_ORDER[(found.lastindex or 1) - 1])
        parts.append(escape(text[end : found.start()]))
        parts.append(Markup('<abbr aria-describedby="{}">{}</abbr>').format(term, found[0]))
        end = found.end()
    return Markup("").join([*parts, escape(text[end:])])
