// SPDX-License-Identifier: Apache-2.0
// Play a baked scene to raw RGB frames, in C++17: play_cpp SCENE FRAMES.rgb
#include <fstream>
#include <iostream>
#include <vector>

#include "stillflow.hpp"

int main(int count, char **given) {
    if (count != 3) {
        std::cerr << "usage: play_cpp SCENE FRAMES.rgb\n";
        return 2;
    }
    try {
        const stillflow::Loop loop(given[1]);
        stillflow::Player player(loop);
        std::ofstream out(given[2], std::ios::binary);
        std::vector<std::uint8_t> pixels(std::size_t(3) * std::size_t(player.width()) * std::size_t(player.height()));
        for (int t = 0; t < player.facts().frames; t++) {
            player.frame(t, pixels.data(), std::ptrdiff_t(3) * player.width());
            out.write(reinterpret_cast<const char *>(pixels.data()), std::streamsize(pixels.size()));
        }
        if (!out.flush()) {
            std::cerr << "play_cpp: cannot write " << given[2] << "\n";
            return 2;
        }
    } catch (const stillflow::Error &error) {
        std::cerr << "play_cpp: " << error.what() << "\n  fix: " << error.fix << "\n";
        return 2;
    }
    return 0;
}
