"""Names of layers by which a network is known after its conversion, apart from what builds it: no Keras is needed."""

BOX_OUTPUT = "box_encodings"
CLASS_OUTPUT = "class_logits"
GRID = "_grid"  # ends the name of what rounds a layer's output
