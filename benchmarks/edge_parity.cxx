// MTF of a slanted edge by VIGRA, unsmoothed: doubles (height × width) on stdin, "frequency response" lines on stdout.
#include <cstdio>
#include <cstdlib>
#include <vector>
#include <vigra/basicimage.hxx>
#include <vigra/slanted_edge_mtf.hxx>

int main(int, char** words) {
    int width = std::atoi(words[1]), height = std::atoi(words[2]);
    vigra::DImage image(width, height);
    if (std::fread(image.begin(), sizeof(double), width * height, stdin) != size_t(width * height)) return 1;
    std::vector<vigra::TinyVector<double, 2>> response;
    auto options = vigra::SlantedEdgeMTFOptions().desiredEdgeWidth(30).mtfSmoothingScale(0.0);
    vigra::slantedEdgeMTF(srcImageRange(image), response, options);
    for (auto& one : response) std::printf("%.9g %.9g\n", one[0], one[1]);
}
