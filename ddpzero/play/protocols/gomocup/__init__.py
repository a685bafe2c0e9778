"""The protocol of Gomocup and piskvork: `ddpzero gomocup RUN` plays five in a row against other programs.

https://plastovicka.github.io/protocl2en.htm describes it. A manager starts the program, writes commands to its stdin
and reads its answers.
"""
