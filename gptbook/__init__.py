"""The code that the book *GPT, Step by Step* builds, one module a concept.

The modules in reading order, each importing only from those above it:

    tales        the story world: little stories whose probability is known exactly
    tokenizer    byte-level BPE, trained from scratch
    data         a text as training data: read, split, kept in a file, cut into blocks
    layers       the layers of a GPT as NumPy functions
    checkpoint   the weights and the configuration of a model, read and written
    numpy_gpt    the whole GPT in NumPy
    sampling     from logits to the next token, for any of the models
    evaluation   how good a model of the story world is
    chat         a conversation with the model of the story world
    torch_gpt    the same GPT in PyTorch
    runs         the files of a training run, whole or not at all
    sources      what a GPT learns from: the story world, or a text
    processes    several processes that train one model
    training     the training loop
    fast         the same loss in less time, a switch for each lever
    modern       from GPT-2 to the models of today, a switch for each swap
    pretrained   a real pretrained model, in a folder or fetched once
    hub          a stand-in for the Hugging Face hub, on this machine
    keras_gpt    the same GPT in Keras, on TensorFlow, PyTorch or JAX
    plots        the figures that recur
    lesson       what the chapters share: a sentence, a comparison, a check
    environment  what is installed here, and what to do where something is missing
    exercises    the checks behind the exercises, one module a notebook
    cells        which cells of a notebook another cell needs
    classroom    the notebooks for a class, and a look at what is handed in
    kernel       runs the cells of a page in the browser
    svg          draws figures where there is no matplotlib
"""

__version__ = "0.1.0"
