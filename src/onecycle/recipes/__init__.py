"""One call per task, and the sentence it stands for."""

from onecycle.recipes.sentence import Call as Call
from onecycle.recipes.sentence import Sentence as Sentence
from onecycle.recipes.task import fine_tune as fine_tune
from onecycle.recipes.task import labelled_list as labelled_list
from onecycle.recipes.task import prepare as prepare
from onecycle.recipes.task import sentence_for as sentence_for
from onecycle.recipes.task import train as train
