int main(int argc, char **argv) {
    int sum = 0;
    for (int i = 0; i < 9; i++) sum += i * argc;
    return sum > 99;
}
