"""Tools that examine and teach: inspection, diagnosis, studies. The core never imports them."""
