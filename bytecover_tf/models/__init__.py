"""Networks: the backbone and the model that is trained."""
