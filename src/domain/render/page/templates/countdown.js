// Counts each time on the page that says so, by the server's clock. Without it the page says the same, as of when it was made.
"use strict";
(() => {
  const made = document.getElementById("now");
  if (!made) return;
  const ahead = Date.now() - Date.parse(made.dateTime);
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const length = (seconds) => {
    const first = units.findIndex(([, size]) => seconds >= size);
    if (first < 0) return "0 s";
    const [unit, size] = units[first];
    const whole = `${Math.floor(seconds / size)} ${unit}`;
    const next = units[first + 1];
    const rest = next ? Math.floor((seconds % size) / next[1]) : 0;
    return rest > 0 ? `${whole} ${rest} ${next[0]}` : whole;
  };
  const times = [...document.querySelectorAll("time[data-count]")];
  const tick = () => {
    const now = Date.now() - ahead;
    for (const time of times) {
      const left = Math.trunc((Date.parse(time.dateTime) - now) / 1000);
      const over = time.dataset.count === "down" && left <= 0;
      const text = over ? "any moment" : length(Math.abs(left));
      if (time.textContent !== text) time.textContent = text;
    }
  };
  tick();
  setInterval(tick, 1000);
})();
