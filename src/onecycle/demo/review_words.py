"""The words and sentences of generated film reviews.

In a sentence, {agree} is replaced by a word that agrees with the reviewer's opinion, {oppose} by one of the opposite.
"""

from __future__ import annotations

POSITIVE = (
    "brilliant", "moving", "gripping", "charming", "clever", "hilarious", "beautiful", "thrilling", "subtle", "warm",
    "original", "convincing", "memorable", "touching", "elegant", "fresh", "witty", "powerful", "delightful", "superb",
    "honest", "inspired", "graceful", "wonderful", "absorbing", "stunning", "rewarding", "tender", "sharp", "excellent",
)  # fmt: skip
NEGATIVE = (
    "boring", "predictable", "clumsy", "dull", "shallow", "silly", "awful", "tedious", "lifeless", "noisy",
    "ridiculous", "painful", "pointless", "lazy", "confused", "bland", "cheap", "stale", "wooden", "dreadful",
    "pretentious", "forgettable", "messy", "tiresome", "hollow", "terrible", "annoying", "sloppy", "cold", "weak",
)  # fmt: skip
ASPECTS = (
    "acting", "plot", "script", "ending", "music", "dialogue", "camera work", "direction", "story", "first half",
    "second half", "humour", "pacing", "cast", "opening scene", "villain", "editing", "love story", "score", "design",
)  # fmt: skip
GENRES = (
    "thriller", "comedy", "western", "drama", "documentary", "musical", "horror film", "remake", "sequel", "mystery",
    "war film", "romance", "road movie", "fairy tale", "film noir", "debut",
)  # fmt: skip
NEGATIONS = (
    "not", "never", "hardly ever", "anything but", "far from", "not in the least", "by no means", "not remotely",
)  # fmt: skip
INTENSIFIERS = ("", "", "", "really ", "quite ", "truly ", "rather ", "simply ", "so ", "VERY ")
NAMES = (
    "Anna Keller", "Tom Brady", "Maria Lopez", "Jack Stone", "Li Wen", "Sara Holm", "David Okoye", "Emma Rossi",
    "Peter Lang", "Noor Aziz", "Oscar Bell", "Ruth Novak",
)  # fmt: skip
PLACES = ("Lisbon", "a small harbour", "Chicago", "the desert", "an old hotel", "Berlin", "a night train", "Alaska")
TIMES = ("last night", "on a long flight", "in 1998", "with my sister", "at a festival", "on DVD", "twice this year")

# The opinion is expressed directly.
DIRECT = (
    "The {aspect} was {very}{agree}.",
    "What a {agree} {kind}!",
    "I found the {aspect} {very}{agree} and the {aspect2} {agree2}.",
    "A {very}{agree} {kind}, from the first minute to the last.",
    "It is the {aspect} that makes it {very}{agree}.",
)
# The same in plain words, as most people write: each word says which opinion it is.
PLAIN = (
    "I {like} this movie, it was {agree}!",
    "I really {like} that movie, it was {very}{agree}.",
    "What a {agree} {kind}, I {like} it!",
    "The {aspect} was {very}{agree} and the {aspect2} {agree2}.",
    "I {like} the {aspect} of this {kind}.",
)
LIKES, DISLIKES = ("loved", "liked", "enjoyed", "adored"), ("hated", "disliked", "regretted", "loathed")
PLAIN_POSITIVE, PLAIN_NEGATIVE = ("awesome", "great", "lovely", "good"), ("horrible", "bad", "ugly", "poor")
# The opposite of the opinion is denied.
NEGATED = (
    "The {aspect} was {no} {oppose}.",
    "This {kind} is {no} {oppose}.",
    "Nobody could call the {aspect} {oppose}.",
    "I would like to call it {oppose}, but I cannot.",
    "My friends said it was {oppose}; they were wrong!!!",
    "The critics called the {aspect} {very}{oppose}, which I fail to understand.",
    "Whoever thinks that this {kind} is {oppose} must have seen another film.",
    "I didn't think the {aspect} was {oppose}.",
)
# Both are mentioned, and one prevails.
CONTRASTING = (
    "The {aspect} may be {oppose}, but in the end the film is {very}{agree}.",
    "Although I expected something {oppose}, it turned out to be {very}{agree}.",
    "Despite a {oppose} {aspect}, I left the cinema thinking how {agree} it all was.",
    "Yes, the {aspect} is {oppose}. That hardly matters, since everything else is {agree}.",
    "It is {agree}, even if the {aspect} is a little {oppose}.",
    "For ten minutes it looks {oppose}; then it becomes {very}{agree} and stays so.",
)
# Facts, which do not express an opinion.
FACTS = (
    "I saw this {kind} {time}.",
    "{name} plays a detective who comes to {place}.",
    "The story is set in {place}, where {name} meets {name2}.",
    "It runs for about two hours &amp; a bit.",
    "{name} wrote it together with {name2}.",
    "It was shot in {place}, they say.",
    "My grandmother took me to see it {time}.",
    "In the middle of it {name} disappears, and {name2} goes looking for her.",
    "There is a scene in {place} that everybody talks about.",
    "The director made another {kind} before this one.",
)
