// Start the deck. A formula that is too wide gets smaller; a slide that is too high gets smaller type in steps, and
// if that is not enough its code, its table or the slide itself scrolls.
const STEPS = ["fit-1", "fit-2", "fit-3"];
const SMALLEST = 0.6; // of the slide's type; a formula has 1.08 of it

const tooHigh = (box) => box.scrollHeight > box.clientHeight + 1;
const tooWide = (box) => box.scrollWidth > box.clientWidth + 1;
const panes = (slide) => [...slide.querySelectorAll("pre, .pane")];

function fitFormulas(slide) {
  for (const formula of slide.querySelectorAll("div.math")) {
    const room = formula.clientWidth / formula.scrollWidth;
    if (tooWide(formula)) formula.style.fontSize = `${Math.max(SMALLEST, 1.04 * room)}em`;
  }
}

function fit(slide) {
  if (!slide || slide.dataset.fitted || slide.clientHeight === 0) return;
  fitFormulas(slide);
  for (const step of STEPS) {
    if (!tooHigh(slide) && !tooWide(slide) && !panes(slide).some(tooHigh)) break;
    slide.classList.add(step);
  }
  if (tooHigh(slide) || tooWide(slide)) slide.classList.add("scroll");
  for (const box of [slide, ...panes(slide)]) if (tooHigh(box) || tooWide(box)) box.tabIndex = 0;
  slide.dataset.fitted = "true";
}

function fitCurrent() {
  const slide = Reveal.getCurrentSlide();
  slide?.getBoundingClientRect(); // lays the slide out, so that its fonts are asked for before they are waited for
  document.fonts.ready.then(() => fit(slide));
}

Reveal.on("ready", fitCurrent);
Reveal.on("slidechanged", fitCurrent);
Reveal.on("pdf-ready", () => document.querySelectorAll(".slides section:not(.stack)").forEach(fit));
Reveal.initialize({
  width: 1280,
  height: 720,
  margin: 0,
  center: false,
  controls: false,
  display: "flex",
  hash: true,
  navigationMode: "linear",
  plugins: [RevealNotes],
  scrollActivationWidth: null,
  slideNumber: "c/t",
  transition: "none",
});
