// Keyboard shortcuts and the command palette. Both can be turned off, and neither acts while one types.
import { openDialog } from "./panels.js";

const isOn = () => document.body.dataset.shortcuts !== "off";
const isTyping = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

const openPalette = () => {
  const dialog = openDialog("palette");
  const input = dialog?.querySelector("input");
  if (!input) return;
  input.value = "";
  window.htmx.trigger(input, "input");
  input.focus();
};

const move = (step) => {
  const links = [...document.querySelectorAll("[data-open-row]")];
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  links[at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step))].focus();
};

const followKey = (key) => {
  const found = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!found) return false;
  if (found instanceof HTMLInputElement) {
    found.focus();
    found.select();
  } else found.click();
  return true;
};

let afterG = 0;
const act = (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (Date.now() - afterG < 1200) {
    afterG = 0;
    const section = document.querySelector(`nav.sections a[data-go="${CSS.escape(key)}"]`);
    if (section) {
      section.click();
      return true;
    }
  }
  if (key === "g") {
    afterG = Date.now();
    return true;
  }
  if (key === "j" || key === "k") {
    move(key === "j" ? 1 : -1);
    return true;
  }
  if (key === "x") {
    const box = document.activeElement?.closest("[data-row]")?.querySelector('input[type="checkbox"]');
    box?.click();
    return Boolean(box);
  }
  if (key === "?") {
    openDialog("help");
    return true;
  }
  if (key === "/" && !document.querySelector('[data-key="/"]')) {
    openPalette(); // where there is no list to search
    return true;
  }
  return /^[a-z/]$/.test(key) && followKey(key);
};

// From the search down to what it found.
document.addEventListener("keydown", (event) => {
  if (!isOn() || event.key !== "ArrowDown" || !(event.target instanceof Element) || !event.target.matches('[data-key="/"]')) return;
  if (!document.querySelector("[data-open-row]")) return;
  event.preventDefault();
  move(1);
});

document.addEventListener("keydown", (event) => {
  if (!isOn()) return;
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
    const foot = document.activeElement?.closest("form[data-save]")?.querySelector(".form-foot");
    const save = (event.shiftKey && foot?.querySelector('[name="another"]')) || foot?.querySelector(".btn-primary");
    if (save) {
      event.preventDefault();
      save.click();
    }
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    openPalette();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (act(event)) event.preventDefault();
});

document.addEventListener("click", (event) => {
  if (event.target instanceof Element && event.target.closest('[data-open="palette"]')) openPalette();
});

// In the palette the focus stays in the field; the arrows choose.
document.addEventListener("keydown", (event) => {
  const palette = event.target instanceof Element ? event.target.closest("#palette") : null;
  if (!palette) return;
  const options = [...palette.querySelectorAll('[role="option"]')];
  const chosen = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
  if (event.key === "Enter") {
    event.preventDefault();
    options[Math.max(0, chosen)]?.click();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const next = (chosen + (event.key === "ArrowDown" ? 1 : -1) + options.length) % options.length;
    options.forEach((option, index) => {
      option.setAttribute("aria-selected", String(index === next));
      option.id = `palette-option-${index}`;
    });
    options[next]?.scrollIntoView({ block: "nearest" });
    palette.querySelector("input").setAttribute("aria-activedescendant", `palette-option-${next}`);
  }
});
