"""Twenty premises of stories, written for this measurement and never changed."""

PREMISES: tuple[str, ...] = (
    "Marta keeps the lighthouse on an island that ships no longer pass. One winter night she sees "
    "a lamp answering hers from the open sea, and rows out to learn who is there.",
    "After his grandfather dies, Tomas inherits a clock shop full of unfinished clocks. One of "
    "them runs backwards, and a stranger offers a fortune if Tomas never repairs it.",
    "Ines is the only doctor in a mountain village cut off by snow. When a wounded soldier from "
    "the other side knocks at her door, she must decide whether to hide him.",
    "The city turns off its river to build a dam. Old Pavel, who has fished there all his life, "
    "walks upstream with his granddaughter to find where the water has gone.",
    "Lena wins a place at a school for violinists but has damaged her hand in the bakery where she "
    "works. She hides the injury and looks for someone who can teach her to play differently.",
    "A bus breaks down in the desert with nine passengers and one bottle of water. The driver, "
    "Omar, knows of a well, but also why nobody from his village goes there.",
    "Nora finds letters behind the wall of her new flat. They were written by a woman who vanished "
    "forty years ago, and the last one is addressed to Nora's own mother.",
    "Two brothers, Karl and Jonas, have not spoken since they sold the farm. When the buyer turns "
    "it into a quarry, they must work together to save the tree where their father is buried.",
    "Mei repairs robots for a living. One evening an old cleaning robot refuses to be switched off "
    "and asks her to help it find the child it once looked after.",
    "The baker of a small harbour town sells bread that makes people tell the truth. When the "
    "mayor orders a loaf for the council, Rosa must choose what to bake.",
    "Anton is a border guard who has never seen anyone cross. On his last day before retirement a "
    "girl with a goat asks him for the way to the sea.",
    "A storm washes a piano onto the beach. Elif, who is nine and has never heard music, hides it "
    "in a cave and learns to play before her uncle can sell it.",
    "Samuel translates for a court. He notices that a witness says something other than what the "
    "judge wants to hear, and that nobody else in the room speaks her language.",
    "In a town where everyone knows the day of their death, Clara's day passes and she wakes up "
    "again. Her neighbours begin to fear her, and her sister tries to find out why she lives.",
    "Yusuf drives the night train. At an abandoned station he sees the same woman waiting each "
    "night, and one night he stops for her against all rules.",
    "The last bookshop of the city is to become a car park. Its owner, Edith, has a week to give "
    "away forty thousand books, and discovers that one of them is worth more than the building.",
    "Petra climbs a mountain to scatter the ashes of her friend. Near the top she meets a man who "
    "has camped there for months and says that he is waiting for her.",
    "A gardener named Luis is hired to plant a maze for a rich widow. She forbids him to draw a "
    "plan, and when it is finished someone walks in and does not come out.",
    "Hanna teaches chess in a prison. Her best pupil is to be released on the day of the final, "
    "and asks her to keep him inside until he has won.",
    "When the village well runs dry, the children are told that a giant drinks it at night. Bashir "
    "stays awake to watch, and follows wet footprints into the old mill.",
)
